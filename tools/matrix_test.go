//go:build !e2e

package tools

// thorough has tests that go through all dialects, shells and namespaces do so. The quick suite
// tests each behaviour in one or two of them.
const thorough = false
