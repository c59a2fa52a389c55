// Package pattern compiles the regular expressions of callers, and bounds what they take:
// repeats make a program of hundreds of MiB of a few KiB.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

const (
	maxLength = 4 << 10 // bytes
	maxSteps  = 10_000
)

// Pattern is a compiled regular expression in RE2 syntax.
type Pattern struct {
	*regexp.Regexp
	// Tree is what was compiled, for those who translate it.
	Tree *syntax.Regexp
}

// Compile compiles an expression. Flags go before it, as in "(?i)"; errors don't repeat them.
func Compile(flags, expr string) (Pattern, error) {
	if err := fits(expr); err != nil {
		return Pattern{}, err
	}
	return compile(flags, expr)
}

// Literal is a pattern that fits the text itself.
func Literal(flags, text string) (Pattern, error) {
	if err := fits(text); err != nil {
		return Pattern{}, err
	}
	return compile(flags, regexp.QuoteMeta(text))
}

func fits(expr string) error {
	if len(expr) > maxLength {
		return fmt.Errorf("it has %d bytes, and may have %d at most", len(expr), maxLength)
	}
	return nil
}

func compile(flags, expr string) (Pattern, error) {
	tree, err := syntax.Parse(flags+expr, syntax.Perl)
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		bad.Expr = strings.TrimPrefix(bad.Expr, flags)
	}
	if err != nil {
		return Pattern{}, fmt.Errorf("it is not a regular expression in RE2 syntax: %w", err)
	}
	if n := steps(tree); n > maxSteps {
		return Pattern{}, fmt.Errorf("written out, its repeats make %d steps of it, and it may have %d at most: repeat less often", n, maxSteps)
	}
	re, err := regexp.Compile(flags + expr)
	return Pattern{re, tree}, err
}

// steps is about how many instructions an expression is compiled to: what is repeated is
// there as often as it may come.
func steps(re *syntax.Regexp) int {
	n := 1
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpRepeat:
		n *= max(re.Min, re.Max, 1)
	}
	return n
}
