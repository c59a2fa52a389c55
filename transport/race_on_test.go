//go:build race

package transport

// largeSize is smaller here: the race detector looks at each byte that JSON is
// parsed from, several times.
const largeSize = 4 << 20
