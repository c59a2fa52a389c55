//go:build e2e

package tools

const thorough = true
