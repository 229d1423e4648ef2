package settings_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/settings"
)

// Write an idle timeout in the words of a client that counts in whole seconds.
func ExampleSpellings_Spell() {
	client := settings.Spellings{"idle_timeout": {{
		In: "client.properties", Set: "keepalive.seconds={s}", Versions: "2.0 and later", Source: "the manual, keepalive.seconds",
	}}}
	policy := pool.Default()
	policy.IdleTimeout = 4900 * time.Millisecond
	for _, s := range client.Spell(policy, "pool.idle_timeout") {
		fmt.Printf("%s: %s (%s)\n", s.In, s.Text, s.Value)
	}
	policy.IdleTimeout = 500 * time.Millisecond
	for _, s := range client.Spell(policy, "pool.idle_timeout") {
		fmt.Println(s.Instead)
	}
	// Output:
	// client.properties: keepalive.seconds=4 (4s)
	// this setting counts in steps of 1s and cannot say 500ms; the shortest time is 1s
}
