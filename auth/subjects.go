package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// SubjectKeys gives the subjects of access tokens their OpenClaw keys, from a
// file that is read again when it changes: lines of subject:key, or a JSON
// object of the same.
type SubjectKeys struct{ file *watched[map[string]secret] }

// NewSubjectKeys reads a file. Its errors hold no key.
func NewSubjectKeys(file string, log *slog.Logger) (*SubjectKeys, error) {
	w, err := watch(file, parseSubjects, log)
	if err != nil {
		return nil, err
	}
	return &SubjectKeys{w}, nil
}

func (s *SubjectKeys) key(subject string) (string, bool) {
	k, ok := s.file.get()[subject]
	if !ok {
		return "", false
	}
	return k.reveal(), true
}

func parseSubjects(text []byte) (map[string]secret, error) {
	keys := make(map[string]secret)
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		var object map[string]string
		if json.Unmarshal(text, &object) != nil {
			return nil, errors.New("is not a JSON object of texts")
		}
		for subject, key := range object {
			if subject == "" || !validKey(key) {
				return nil, fmt.Errorf("has a wrong subject or OpenClaw key; a key is one word of at most %d printable ASCII characters", maxKey)
			}
			keys[subject] = newSecret(key)
		}
		return keys, nil
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		// A subject may have colons, a key has none.
		at := strings.LastIndexByte(line, ':')
		if at < 1 || !validKey(line[at+1:]) {
			return nil, fmt.Errorf("line %d is not of the form subject:OpenClaw-key", i+1)
		}
		if _, twice := keys[line[:at]]; twice {
			return nil, fmt.Errorf("line %d has a subject a second time", i+1)
		}
		keys[line[:at]] = newSecret(line[at+1:])
	}
	return keys, nil
}

func validKey(key string) bool { return key != "" && len(key) <= maxKey && isWord(key) }
