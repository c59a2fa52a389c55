//go:build !race

package transport

const largeSize = 20 << 20
