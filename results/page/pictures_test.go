package page

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// pictures is where the pictures of docs/concepts.md and docs/ko/concepts.md are.
const pictures = "../../docs/pictures"

// TestPictures: the pictures of the documents are what the report page draws today.
// The runs that they show are computed in stories_test.go, so they are always the same.
//
//	KABENCH_PICTURES=write go test -run TestPictures ./results/page   draws them again
func TestPictures(t *testing.T) {
	for name, r := range races() {
		t.Run(name, func(t *testing.T) { committed(t, name+".svg", r.svg(r.label)) })
	}
	browser := chromium.Start(t)
	for name, c := range map[string]struct {
		run     Run
		section string
		height  int
	}{
		"lifelines-race":  {bursts{}.run(4), "lifelines", 210},
		"lifelines-order": {bursts{idleTimeout: 500 * ms}.run(4), "lifelines", 330},
		"sockets":         {bursts{idleTimeout: 500 * ms}.run(20), "sockets", 240},
		"pool":            {queue{workers: 8, rate: 100, service: 50 * ms, from: 3, to: 3.6, slow: 300 * ms}.run(8), "pool", 260},
		"omission":        {queue{workers: 10, rate: 200, service: 4 * ms, from: 4, to: 5, slow: time.Second}.run(10), "percentiles", 280},
	} {
		t.Run(name, func(t *testing.T) { committed(t, name+".svg", chart(t, browser, c.run, c.section, c.height)) })
	}
}

// committed checks that a picture of the documents is svg, or makes it so.
func committed(t *testing.T, name, svg string) {
	t.Helper()
	path := filepath.Join(pictures, name)
	if os.Getenv("KABENCH_PICTURES") == "write" {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(svg), 0o644))
		return
	}
	have, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(have), svg); diff != "" {
		t.Errorf("%s is not what the page draws: run KABENCH_PICTURES=write go test -run TestPictures ./results/page\n%s", path, diff)
	}
}

// serialised draws the chart of a section again, as SVG. Text is measured by its number
// of letters, because the fonts of a machine may not decide where a legend ends.
const serialised = `(() => {
	echarts.setPlatformAPI({ measureText: (text) => ({ width: 6.4 * text.length }) });
	const option = echarts.getInstanceByDom(document.querySelector('#%s .chart')).getOption();
	option.backgroundColor = '#ffffff';
	option.textStyle.fontFamily = 'sans-serif';
	const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 760, height: %d });
	chart.setOption(option);
	return chart.renderToSVGString();
})()`

// identities are numbers that the chart library gives its parts, and digits of
// coordinates that nobody sees.
var (
	identities = regexp.MustCompile(`zr\d+-`)
	digits     = regexp.MustCompile(`(\.\d\d)\d+`)
)

// chart is the chart of a section of the page about run.
func chart(t *testing.T, browser context.Context, run Run, section string, height int) string {
	tab := openTab(t, browser, file(t, &Data{Kind: KindRun, Title: "t", Headline: text.HeadlineOfRun(run.Doc), Notes: []string{}, Runs: []Run{run}}))
	svg := eval[string](tab, fmt.Sprintf(serialised, section, height))
	tab.quiet("file://")
	svg = identities.ReplaceAllString(svg, "zr-")
	return digits.ReplaceAllString(strings.ReplaceAll(svg, "><", ">\n<"), "$1") + "\n"
}

// labelled is a race with the text for readers who do not see it.
type labelled struct {
	race
	label string
}

// inMS makes seconds of ms.
func inMS(v float64) float64 { return v / 1000 }

func packet(kind string, fromClient bool, sentMS float64, label string) flight {
	return flight{sent: inMS(sentMS), arrived: inMS(sentMS + 5), fromClient: fromClient, kind: kind, label: label}
}

// races are the drawn races of the documents, in English and in Korean.
func races() map[string]labelled {
	all := map[string]labelled{}
	for language, w := range map[string]map[string]string{
		"":    {},
		"ko/": korean,
	} {
		say := func(english string) string {
			if w[english] != "" {
				return w[english]
			}
			return english
		}
		at := func(ms float64, atServer bool, english string) note {
			return note{at: inMS(ms), atServer: atServer, text: say(english), bad: strings.Contains(english, "failed")}
		}
		side := race{client: say("client"), server: say("server"), cross: say(theyCross), axis: say(fromRequest)}
		crossed, byServer, byClient := side, side, side
		crossed.zero = inMS(1012)
		crossed.packets = []flight{
			packet("data", true, 0, say("request")), packet("data", false, 15, say("response")),
			packet("data", true, 1012, say("request")), packet("fin", false, 1015, "FIN"), packet("rst", false, 1017, "RST"),
		}
		crossed.notes = []note{
			at(15, true, "timer starts"), at(20, false, "connection goes back to the pool: idle"),
			at(1012, false, "leased after 992 ms idle; request sent"), at(1015, true, "timer of 1 s ends"),
			at(1017, true, "no connection: RST"), at(1020, false, "FIN read: failed, before_response / fin"),
		}
		byServer.packets = []flight{
			packet("fin", false, 0, "FIN"), packet("fin", true, 5.5, "ACK, FIN"), packet("ack", false, 11, "ACK"),
		}
		byServer.notes = []note{at(0, true, "closes first"), at(16, false, "closed: the port is free"), at(10.5, true, "TIME_WAIT, 60 s")}
		byServer.axis, byClient.axis = say("time"), say("time")
		byClient.packets = []flight{
			packet("fin", true, 0, "FIN"), packet("fin", false, 5.5, "ACK, FIN"), packet("ack", true, 11, "ACK"),
		}
		byClient.notes = []note{at(0, false, "closes first"), at(16, true, "closed"), at(10.5, false, "TIME_WAIT, 60 s: the port is taken")}
		all[language+"race"] = labelled{crossed, say("The race: the server's FIN and the client's request cross on the wire")}
		all[language+"close-by-server"] = labelled{byServer, say("The server closes first and keeps TIME_WAIT")}
		all[language+"close-by-client"] = labelled{byClient, say("The client closes first and keeps TIME_WAIT")}
	}
	return all
}

// korean are the words of the drawn races in Korean.
var korean = map[string]string{
	"client": "클라이언트", "server": "서버", "request": "요청", "response": "응답",
	"timer starts": "타이머 시작", "timer of 1 s ends": "타이머 1초 만료", "no connection: RST": "커넥션 없음: RST 전송",
	"connection goes back to the pool: idle":  "커넥션을 풀에 반환, 유휴 상태",
	"leased after 992 ms idle; request sent":  "992 ms 동안 유휴였던 커넥션을 대여, 요청 전송",
	"FIN read: failed, before_response / fin": "FIN 수신: 실패, before_response / fin",
	theyCross: "엇갈림", fromRequest: "요청 시점 기준", "time": "시간", "closes first": "먼저 종료",
	"closed: the port is free":           "종료, 포트를 바로 다시 쓸 수 있음",
	"closed":                             "종료",
	"TIME_WAIT, 60 s":                    "TIME_WAIT 60초",
	"TIME_WAIT, 60 s: the port is taken": "TIME_WAIT 60초, 포트 점유",
	"The race: the server's FIN and the client's request cross on the wire": "경합: 서버의 FIN과 클라이언트의 요청이 네트워크에서 엇갈린다",
	"The server closes first and keeps TIME_WAIT":                           "서버가 먼저 종료하면 TIME_WAIT은 서버에 남는다",
	"The client closes first and keeps TIME_WAIT":                           "클라이언트가 먼저 종료하면 TIME_WAIT은 클라이언트에 남는다",
}

// The race drawn from the packets of a private network has its packets, its stamps and
// its lost packets; a text in it is never markup.
func TestRaceOfEvidence(t *testing.T) {
	sent := 5.331
	svg := raceOf(results.Evidence{Rows: []results.EvidenceRow{
		{At: 1.0, From: "client", To: "server", Flags: "P.", Len: 82},
		{At: 5.292, Note: "leased, idle 1.922 s <script>"},
		{At: 5.293, From: "client", To: "server", Flags: "P.", Len: 59, Fate: "dropped"},
		{At: 5.371, Sent: &sent, From: "server", To: "client", Flags: "F."},
		{At: 5.372, Note: "read EOF: failed, before_response/fin"},
		{At: 5.373, Sent: &sent, From: "link", To: "client", Flags: "R"},
	}}, true).svg("a & b")
	for _, want := range []string{`aria-label="a &amp; b"`, ">82 B<", "&lt;script&gt;", ">dropped<", ">FIN<", ">RST<", "failed, before_response/fin", "… 4.25 s …", "\u22121 ms", ">+20 ms<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture has no %q:\n%s", want, svg)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("a coordinate is not a number:\n%s", svg)
	}
	// Whatever a document says, the picture is one, and small.
	before := 1e18 - 1e15
	far := raceOf(results.Evidence{Rows: []results.EvidenceRow{
		{At: 1e18, From: "client", To: "server", Len: 82}, {At: 1e18, Sent: &before, From: "server", To: "client", Flags: "F."}, {At: 1e18, Note: "read \x01\x1b[31m EOF"},
	}}, true).svg("")
	if err := xml.Unmarshal([]byte(far), new(struct{})); err != nil || len(far) > 1<<20 {
		t.Errorf("%d bytes: %v", len(far), err)
	}
	many := []results.EvidenceRow{{At: 1, From: "client", To: "server", Len: 82}}
	for i := range 100_000 {
		many = append(many, results.EvidenceRow{At: 1 + float64(i)/1e4, From: "server", To: "client", Len: 1448})
	}
	many = append(many, results.EvidenceRow{At: 12, From: "server", To: "client", Flags: "R"})
	if long := raceOf(results.Evidence{Rows: many}, false).svg(""); len(long) > 1<<16 || !strings.Contains(long, ">RST<") || !strings.Contains(long, "not drawn") {
		t.Errorf("the picture of %d packets has %d bytes", len(many), len(long))
	}
	if empty := raceOf(results.Evidence{}, false).svg(""); strings.Contains(empty, "NaN") || strings.Contains(empty, "Inf") {
		t.Errorf("without packets: %s", empty)
	}
}
