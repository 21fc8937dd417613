/* The same where the program can read the queue, and so can libckpt through its descriptor. */
//# refused: mq_notify
#define ACCESS O_RDWR
#include "refused_message_notification.c"
