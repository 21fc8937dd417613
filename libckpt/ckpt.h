/* What a program can ask of libckpt, and need not: it is compiled and runs without libckpt as well.
 *
 * The functions come with libckpt.so, which is preloaded. Nothing has to be linked: without libckpt their addresses are null,
 * so that a program that also runs without asks before it calls:
 *
 *     if (ckpt_generation && ckpt_generation() != generation) reseed();
 */
#ifndef CKPT_H
#define CKPT_H

#ifdef __cplusplus
extern "C" {
#endif

/* How often this process has been restored: 0 in one that was started, one more after each restart. Several processes that
 * are restored from one image all see the same number, and are copies of each other: to get random numbers of its own,
 * each mixes in something that is its own, as from getrandom(2). May be called in a signal handler. */
extern unsigned ckpt_generation(void) __attribute__((weak));

/* Takes a checkpoint, as the signal (CKPT_SIGNAL) does. It returns twice, like fork(2): 0 in the process that goes on, 1 in
 * one that was restored from this image; -1 if libckpt is off. Whether there is an image, the line on standard error says; if
 * another thread takes a checkpoint at this moment, this one is taken after it. */
extern int ckpt_checkpoint(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
