//go:build !e2e || race

package terminals

const floodSize = 4 << 20
