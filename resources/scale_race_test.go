//go:build race

package resources

// How much there is of everything in the tests of scale: the race detector is
// slow, and has nothing to find in size.
const (
	manyMessages = 10_000
	manyFiles    = 5_000
)
