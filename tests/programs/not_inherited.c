/* The same, in a program that stands still for its checkpoint. */
//# env: CKPT_MODE=stop
#include "refused_not_inherited.c"
