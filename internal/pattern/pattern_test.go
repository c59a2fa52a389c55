package pattern

import (
	"fmt"
	"strings"
	"testing"
)

// What people write fits; the limits hold for what is long, and for what is short and takes
// much.
func TestLimits(t *testing.T) {
	t.Parallel()
	for expr, fits := range map[string]bool{
		`^\s*(func|type) \w{1,64}\(`:                true,
		`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`: true,
		`.{0,1000}x{1000}(?:abc){300}`:              true,
		strings.Repeat("x", maxLength):              true,
		strings.Repeat(`\pL`, maxLength/3):          true,
		strings.Repeat("x", maxLength+1):            false,
		`[a-c]{1000}|[b-d]{1000}|[ac]{1000}|[bd]{1000}|([ad]{30}){33}|[cd]{1000}|[ab]{1000}|[a-d]{1000}|[ae]{1000}|[af]{1000}`: false,
		`(?:` + strings.Repeat("[ab]", 500) + `){40}`:                   false,
		strings.Repeat("(", 500) + "a{1000}" + strings.Repeat(")", 500): true,
		`((` + strings.Repeat("a", 100) + `){30}){30,}`:                 false,
		`((` + strings.Repeat("[ab]", 100) + `){0,30}){0,30}`:           false,
	} {
		if _, err := Compile("(?m)", expr); (err == nil) != fits {
			t.Errorf("%.60s: %v", expr, err)
		} else if err != nil && !strings.Contains(err.Error(), fmt.Sprint("may have ", maxSteps)) && !strings.Contains(err.Error(), fmt.Sprint("may have ", maxLength)) {
			t.Errorf("%.60s: the error has no limit: %v", expr, err)
		}
	}
}

// A text that is quoted may be as long as any other.
func TestLiteral(t *testing.T) {
	t.Parallel()
	dots := strings.Repeat(".", maxLength)
	p, err := Literal("(?i)", dots)
	if err != nil || !p.MatchString(dots) || p.MatchString(strings.Repeat("x", maxLength)) {
		t.Error(err)
	}
	if _, err := Literal("", dots+"."); err == nil {
		t.Error("a text of more than the limit is taken")
	}
}

// An error has what the caller wrote, and no flag that it did not write.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{"(", "a)", "*", "[b-a]", `\8`} {
		if _, err := Compile("(?m)", expr); err == nil || strings.Contains(err.Error(), "?m") {
			t.Errorf("%s: %v", expr, err)
		}
	}
}
