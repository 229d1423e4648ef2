package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	candidates := []string{"idle_timeout", "max_idle", "rate", "url", "Liveness"}
	for word, want := range map[string]string{
		"idle_timout": "idle_timeout", "idel_timeout": "idle_timeout", "IDLE_TIMEOUT": "idle_timeout", "max-idle": "max_idle",
		"rtae": "rate", "rat": "rate", "lru": "", "ulr": "url", "liveness": "Liveness", "u": "", "": "", "something": "",
		"idle_time": "idle_timeout", strings.Repeat("rate", 1_000_000): "",
	} {
		if got := Name(word, candidates); got != want {
			t.Errorf("%.40q: nearest is %q, want %q", word, got, want)
		}
	}
	if got := Name("rate", nil); got != "" {
		t.Errorf("nearest of none is %q", got)
	}
}
