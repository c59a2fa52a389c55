//go:build !race

package client

const largeScale = 1
