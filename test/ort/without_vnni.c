// LD_PRELOAD library: the program sees a CPU without VNNI. CPUID faults (arch_prctl ARCH_SET_CPUID, where CPU and kernel
// have `cpuid_fault` in /proc/cpuinfo), and the handler answers it with feature bits taken away.
// LAPIDARY_HIDE=vnni hides AVX512-VNNI, AVX-VNNI and AMX; LAPIDARY_HIDE=avx512 also all of AVX512. Other values: nothing.
// cc -O2 -shared -fPIC -o without_vnni.so without_vnni.c
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { kArchSetCpuid = 0x1012 };
static int hide_avx512;

static long set_cpuid(unsigned long on) { return syscall(SYS_arch_prctl, kArchSetCpuid, on); }

static void answer(int signal_number, siginfo_t* info, void* context) {
  greg_t* r = ((ucontext_t*)context)->uc_mcontext.gregs;
  const unsigned char* at = (const unsigned char*)r[REG_RIP];
  (void)info;
  if (at[0] != 0x0F || at[1] != 0xA2) {  // another fault: the default action
    signal(signal_number, SIG_DFL);
    return;
  }
  unsigned leaf = (unsigned)r[REG_RAX], sub = (unsigned)r[REG_RCX], a = leaf, b, c = sub, d;
  set_cpuid(1);
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  set_cpuid(0);
  if (leaf == 7 && sub == 0) {
    c &= ~(1u << 11);                                // AVX512_VNNI
    d &= ~((1u << 22) | (1u << 24) | (1u << 25));    // AMX
    if (hide_avx512) {
      b &= ~((1u << 16) | (1u << 17) | (1u << 21) | (1u << 28) | (1u << 30) | (1u << 31));
      c &= ~((1u << 1) | (1u << 6) | (1u << 12) | (1u << 14));
      d &= ~((1u << 8) | (1u << 23));
    }
  } else if (leaf == 7 && sub == 1) {
    a &= ~((1u << 4) | (1u << 5));  // AVX_VNNI, AVX512_BF16
    d &= ~((1u << 4) | (1u << 10));  // AVX_VNNI_INT8, AVX_VNNI_INT16
  }
  r[REG_RAX] = a;
  r[REG_RBX] = b;
  r[REG_RCX] = c;
  r[REG_RDX] = d;
  r[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
  const char* hide = getenv("LAPIDARY_HIDE");
  if (hide == NULL || (strcmp(hide, "vnni") != 0 && strcmp(hide, "avx512") != 0)) return;
  hide_avx512 = strcmp(hide, "avx512") == 0;
  struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (sigaction(SIGSEGV, &action, NULL) != 0 || set_cpuid(0) != 0) {
    fputs("this CPU has no cpuid_fault, or its kernel does not use it\n", stderr);
    _exit(77);
  }
}
