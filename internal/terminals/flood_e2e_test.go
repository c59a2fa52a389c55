//go:build e2e && !race

package terminals

const floodSize = 50 << 20
