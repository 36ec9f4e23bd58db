/* Data that tests read where it lies, beside the checkout, and do without when it is not there. */
#ifndef TESTS_SHARED_H
#define TESTS_SHARED_H

/* The path of a file of ../shared (or of the folder TAKT_SHARED names), in path[1024]; skips the
 * test, saying which file it wanted, when there is none. */
const char *tests_shared(char path[1024], const char *name);

#endif
