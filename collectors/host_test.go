package collectors

import "testing"

func TestCommit(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef01234567"
	for name, tt := range map[string]struct {
		set  map[string]string
		want string
	}{
		"none":           {nil, ""},
		"GitHub":         {map[string]string{"GITHUB_SHA": id}, id},
		"GitLab":         {map[string]string{"CI_COMMIT_SHA": id}, id},
		"Jenkins, short": {map[string]string{"GIT_COMMIT": "0123456"}, "0123456"},
		"overridden":     {map[string]string{"KABENCH_COMMIT": "abcdef0", "GITHUB_SHA": id}, "abcdef0"},
		"no commit":      {map[string]string{"KABENCH_COMMIT": "<script>", "GITHUB_SHA": "main"}, ""},
	} {
		if got := commit(func(name string) string { return tt.set[name] }); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
