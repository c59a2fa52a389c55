//go:build e2e && !race

package resources

// How much there is of everything in the tests of scale.
const (
	manyMessages = 100_000
	manyFiles    = 50_000
)
