package observe

import "testing"

func TestInstanceOf(t *testing.T) {
	for arguments, want := range map[string]string{
		`{"content":{"instance":"inner"},"instance":"a"}`: "a",
		`{"instance":5}`: "", `{"Instance":"a"}`: "", `{}`: "", ``: "", `[]`: "", `{"instance":`: "",
	} {
		if got := instanceOf([]byte(arguments)); got != want {
			t.Errorf("%s: got %q, want %q", arguments, got, want)
		}
	}
}
