package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// explainEnv turns the library's error into one that names variables, and gives those
// that could not be read. It drops the values: one of them may be a key.
func explainEnv(err error) (unread map[string]bool, _ error) {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil, err
	}
	unread = make(map[string]bool)
	var errs []error
	for _, e := range all.Errors {
		var parse env.ParseError
		if errors.As(e, &parse) {
			name := variableOf(parse.Name)
			unread[name] = true
			errs = append(errs, fmt.Errorf("%s %s", name, kindOf(parse)))
			continue
		}
		errs = append(errs, e)
	}
	return unread, errors.Join(errs...)
}

// parsers read what people write for a switch and for a time.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[bool]():          func(v string) (any, error) { return Switch(v) },
	reflect.TypeFor[time.Duration](): func(v string) (any, error) { return Duration(v) },
}

// Switch reads true or false, and what people write for these.
func Switch(value string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true", "t", "1", "yes", "y", "on":
		return true, nil
	case "false", "f", "0", "no", "n", "off":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

// Duration reads a duration such as 45s; a plain number is one of seconds.
func Duration(value string) (time.Duration, error) {
	value = strings.TrimSpace(value)
	if _, err := strconv.ParseUint(value, 10, 32); err == nil {
		value += "s"
	}
	return time.ParseDuration(value)
}

func kindOf(e env.ParseError) string {
	switch e.Type.String() {
	case "time.Duration":
		return "is not a valid duration: write 45s, 2m, 1h30m or a number of seconds"
	case "int":
		return "is not a valid whole number"
	case "float64":
		return "is not a valid number"
	case "config.Regexp":
		return "is not a valid regular expression: " + e.Err.Error()
	case "bool":
		return "must be true or false (yes/no, on/off, 1/0 also work)"
	}
	return "is not a valid " + e.Type.String()
}

// variableOf finds the variable of a field.
func variableOf(field string) string {
	f, ok := reflect.TypeFor[Config]().FieldByName(field)
	if !ok {
		return field
	}
	return f.Tag.Get("env")
}
