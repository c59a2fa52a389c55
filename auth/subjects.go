package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// SubjectKeys says which OpenClaw API key belongs to which OAuth subject.
type SubjectKeys struct{ file *watched[map[string]secret] }

// NewSubjectKeys reads a file of lines "subject:key", where the last colon is
// the one that counts, with # before comments; or of one JSON object from
// subjects to keys, for keys that hold colons. The file is read again when it
// changes: while it is missing or broken, what it said before holds. Errors name
// the line or entry, and never what it holds.
func NewSubjectKeys(file string, log *slog.Logger) (*SubjectKeys, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w, err := watch(file, parseSubjects, log)
	if err != nil {
		return nil, err
	}
	return &SubjectKeys{w}, nil
}

func (s *SubjectKeys) get(subject string) (key string, ok bool) {
	found, ok := s.file.get()[subject]
	if !ok {
		return "", false
	}
	return found.reveal(), true
}

func parseSubjects(text []byte) (map[string]secret, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8 text")
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return parseSubjectObject(text)
	}
	all := map[string]secret{}
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		colon := strings.LastIndexByte(line, ':')
		if colon < 0 {
			return nil, fmt.Errorf("line %d is not of the form subject:key", i+1)
		}
		if err := addSubject(all, line[:colon], line[colon+1:]); err != nil {
			return nil, fmt.Errorf("line %d %w", i+1, err)
		}
	}
	return all, nil
}

// parseSubjectObject goes by tokens, since a map would hide a subject's second key.
func parseSubjectObject(text []byte) (map[string]secret, error) {
	all := map[string]secret{}
	d := json.NewDecoder(bytes.NewReader(text))
	broken := func() error {
		return fmt.Errorf("is not one JSON object from subjects to keys; it is wrong near byte %d", d.InputOffset())
	}
	if _, err := d.Token(); err != nil {
		return nil, broken()
	}
	for n := 1; d.More(); n++ {
		subject, err := d.Token()
		if err != nil {
			return nil, broken()
		}
		key, err := d.Token()
		if err != nil {
			return nil, broken()
		}
		name, _ := subject.(string) // the decoder takes nothing else here
		value, ok := key.(string)
		if !ok {
			return nil, broken()
		}
		if err := addSubject(all, name, value); err != nil {
			return nil, fmt.Errorf("entry %d %w", n, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, broken()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, broken()
	}
	return all, nil
}

func addSubject(all map[string]secret, subject, key string) error {
	if subject == "" || len(subject) > maxSubject {
		return fmt.Errorf("has a subject of %d bytes; it must have 1 to %d", len(subject), maxSubject)
	}
	if key == "" || len(key) > maxKey || !isWord(key) {
		return fmt.Errorf("has a wrong OpenClaw key; it must be one word of at most %d printable ASCII characters", maxKey)
	}
	if _, ok := all[subject]; ok {
		return errors.New("has a subject a second time")
	}
	all[subject] = newSecret(key)
	return nil
}
