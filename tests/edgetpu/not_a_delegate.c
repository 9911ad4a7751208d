/* A library that loads and is no delegate: under the name of libedgetpu may lie anything. */
int edgetpu_version(void) { return 14; }
