#pragma once

/// Everything public.
#include "lapidary/arrays.h"
#include "lapidary/calibrate.h"
#include "lapidary/compress.h"
#include "lapidary/data.h"
#include "lapidary/error.h"
#include "lapidary/evaluate.h"
#include "lapidary/exec.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/model_io.h"
#include "lapidary/ops.h"
#include "lapidary/passes.h"
#include "lapidary/recipe.h"
#include "lapidary/report.h"
#include "lapidary/runtime.h"
#include "lapidary/tensor.h"
