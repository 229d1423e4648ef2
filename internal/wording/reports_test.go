package wording

import (
	_ "embed"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/reports.txt
var reports string

// Lines out of public reports are explained as what they are, or not at all.
func TestReports(t *testing.T) {
	right, total := 0, 0
	for report := range strings.SplitSeq(reports[strings.Index(reports, "\n== ")+4:], "\n== ") {
		head, text, _ := strings.Cut(report, "\n")
		fields := strings.Split(head, " | ")
		if len(fields) != 3 {
			t.Fatalf("%q has no source, client and outcome", head)
		}
		total++
		client, outcome := "?", "?"
		if found := Explain(text); len(found) > 0 {
			client, outcome = found[0].Client, found[0].Outcomes[0].Phase.String()+"/"+found[0].Outcomes[0].Cause.String()
			if client == "" {
				client = "-"
			}
		}
		if slices.Contains(strings.Split(fields[1], ","), client) && slices.Contains(strings.Split(fields[2], ","), outcome) {
			right++
			continue
		}
		t.Errorf("%s: %s of %s, want %s of %s", fields[0], outcome, client, fields[2], fields[1])
	}
	t.Logf("%d of %d", right, total)
}

// A few words that many programs write do not name the one client among those known.
func TestFewWordsNameNobody(t *testing.T) {
	for text, want := range map[string]string{
		"asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation":                                    "",
		"the connection is closed by the administrator":                                                                                       "",
		"com.rabbitmq.client.AlreadyClosedException: connection is already closed due to connection error; cause: java.io.EOFException":       "java",
		"org.springframework.amqp.AmqpIOException: java.io.EOFException":                                                                      "java",
		"java.io.EOFException\n\tat okio.RealBufferedSource.require(RealBufferedSource.kt:199)":                                               "okhttp",
		"io.vertx.core.VertxException: Connection was closed\n\tat io.vertx.core.http.impl.HttpClientRequestImpl.handleException(H.java:300)": "vertx",
	} {
		client := ""
		if found := Explain(text); len(found) > 0 {
			client = found[0].Client
		}
		if client != want {
			t.Errorf("%q is of %q, want %q", text, client, want)
		}
	}
}
