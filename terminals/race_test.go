//go:build race

package terminals

const floodSize = 4 << 20
