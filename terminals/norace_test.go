//go:build !race

package terminals

const floodSize = 50 << 20
