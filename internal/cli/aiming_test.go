package cli

import (
	"strings"
	"testing"
)

// What cannot be is refused in the words of its flag, before a server is measured.
func TestCheckSets(t *testing.T) {
	for want, o := range map[string]Aiming{
		"":                  {Target: "http://127.0.0.1/", Pool: "reactor-netty", Sets: []string{"pool.idle_timeout=3s"}},
		"--pool nosuch: ":   {Target: "http://127.0.0.1/", Pool: "nosuch"},
		"--target http://:": {Target: "http://"},
		"pool.nosuch":       {Target: "http://127.0.0.1/", Sets: []string{"pool.nosuch=1"}},
	} {
		err := o.CheckSets()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
