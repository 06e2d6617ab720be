// Package arch holds the source to the architecture: arch.txt says what each package may import, who may read the clock, wait for it and
// read the environment, and who may own tables; the test in this package reads every Go and SQL file of the module and fails on the first
// line that leaves its room. It reads text alone, so that files for other systems are held to the same rules, and finishes in a second.
//
// The checks are made against carelessness and shortcuts, not against somebody who builds names of tables at run time to get past them;
// a review sees that.
package arch
