//go:build !e2e || race

package resources

// How much there is of everything in the tests of scale, in the quick suite and
// under the race detector, which is slow and has nothing to find in size.
const (
	manyMessages = 10_000
	manyFiles    = 5_000
)
