/* The spans of the protocol, in ticks. */
#define TTL 2
#define R 1
#define W 1
#define K 1
#define D 1
