package otlp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/telemetry"
)

// A variable that the SDK cannot read is an error before anything is sent, and no token is quoted.
func TestEnvironment(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"OTEL_EXPORTER_OTLP_HEADERS", "Bearer hunter2", "entry 1 has no ="},
		{"OTEL_EXPORTER_OTLP_HEADERS", "A=b,c d=hunter2", "the name in entry 2"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "A=hunter2%zz", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: the value in entry 1"},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "A=hunter2%0ab", "the value in entry 1"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", filepath.Join(t.TempDir(), "none.pem"), "no such file"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", empty, "no certificate in PEM"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			_, err := Start("http://localhost:4318", "v", telemetry.NewBook())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
		})
	}
	for _, good := range []string{"", " ", "Authorization=Bearer%20x", "a=b, c=d=e"} {
		if err := checkHeaders(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
