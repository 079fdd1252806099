#pragma once

/// Marks what liblapidary.so exports; everything else is hidden.
#if defined(_WIN32)
#error "Lapidary builds on Linux"
#endif
#define LAPIDARY_API __attribute__((visibility("default")))
