package wording

import "testing"

// A client that is known need not be named by the text; one that is not known changes
// nothing.
func TestExplainAs(t *testing.T) {
	const text = "NativeIoException: recvAddress(..) failed: Connection reset by peer"
	for client, want := range map[string]string{"reactor-netty": "reactor-netty", "reactor-netty-create": "reactor-netty", "go": "go"} {
		found := ExplainAs(client, "read tcp: connection reset by peer")
		if len(found) == 0 || found[0].Client != want {
			t.Errorf("%s: %+v", client, found)
		}
	}
	for _, client := range []string{"", "no-such-client"} {
		as, plain := ExplainAs(client, text), Explain(text)
		if len(as) != len(plain) || len(as) == 0 || as[0].Client != plain[0].Client {
			t.Errorf("%q: %d and %d", client, len(as), len(plain))
		}
	}
}
