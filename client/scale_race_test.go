//go:build race

package client

// largeScale divides the sizes of the tests of large bodies: under the race
// detector each byte costs many times as much.
const largeScale = 8
