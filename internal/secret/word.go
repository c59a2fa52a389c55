package secret

import (
	"errors"
	"regexp"
	"strings"
	"sync"
)

var (
	variable   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{[^}]*\}|\{\{[^}]*\}\}|^\$[A-Za-z_]\w*$|^%\w+%$`) })
	assignment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(export\s+)?[A-Z][A-Z0-9]*_[A-Z0-9_]*=[^=]`) })
)

// CheckExpanded refuses a value that holds a variable which somebody should have put
// a value for, such as ${KEY} or ${input:key}. The error does not repeat the value.
func CheckExpanded(value string) error {
	if variable().MatchString(value) {
		return errors.New("holds a variable that was not replaced, such as ${KEY} or ${input:key}: the client passes it on as it stands; write the value itself, or use a file")
	}
	return nil
}

// CheckWord refuses what a key or an id is not: a variable, a text in quotes, or an
// assignment. The error does not repeat the value.
func CheckWord(value string) error {
	const quotes = "\"'`“”‘’"
	switch {
	case value == "":
		return nil
	case strings.ContainsAny(value[:1]+value[len(value)-1:], quotes) || strings.HasPrefix(value, "“") || strings.HasPrefix(value, "‘"):
		return errors.New("begins or ends with a quotation mark; write it without")
	case assignment().MatchString(value):
		return errors.New("is of the form NAME=value; write the value alone")
	}
	return CheckExpanded(value)
}
