package wording

import (
	"regexp"
	"strings"
)

// codeWorth is the score of a code in a place where only one proxy writes it. A code
// with more details of the same proxy around it scores higher.
const codeWorth = 45

// codeNames says what each proxy calls its codes.
var codeNames = map[string]string{"haproxy": "termination state", "envoy": "response flag", "alb": "status", "heroku": "code", "nginx": "status", "libcurl": "error"}

// codeForm is a place in a line where a proxy writes its codes: a regular expression
// over the line in lower case with one kind of quotes. Each group is a code, or
// several with commas between them.
type codeForm struct {
	client string
	form   *regexp.Regexp
	prefix string // precedes the code in the table
	sign   string // a text without it is not searched: every match contains it
}

// Envoy's flags, as in its documentation, "Access logging", %RESPONSE_FLAGS%.
const envoyFlag = `(?:uh|uf|uo|nr|urx|nc|dt|dc|lh|ut|lr|ur|uc|di|fi|rl|uaex|rlse|ih|si|dpe|upe|umsdr|om|df|do|dr|nfcf|rfcf|upc)`

var codeForms = []codeForm{
	// HAProxy: option httplog, tcplog, httpslog; CLF; a field of JSON or logfmt; the code in prose.
	{"haproxy", regexp.MustCompile(` (?:-1|[0-9]{3}) \+?[0-9]+ \S+ \S+ ([a-z-]{2}[a-z-]{2}) [0-9]+/[0-9]+/[0-9]+`), "", "/"},
	{"haproxy", regexp.MustCompile(` (?:-1|[0-9]{3}) \+?[0-9]+ \S+ \S+ ([a-z-]{2}--) [0-9]+/[0-9]+`), "", "/"},
	{"haproxy", regexp.MustCompile(`(?:-?[0-9]+/){3,9}\+?-?[0-9]+ (?:\S+ ){0,4}([a-z-]{2}(?:[a-z-]{2})?) (?:\S+ ){0,3}[0-9]+/[0-9]+/[0-9]+/[0-9]+/\+?[0-9]+ [0-9]+/[0-9]+`), "", "/"},
	{"haproxy", regexp.MustCompile(`/-?\+?[0-9]+ \+?[0-9]+ ([a-z-]{2}) [0-9]+/[0-9]+/[0-9]+/[0-9]+/\+?[0-9]+ [0-9]+/[0-9]+`), "", "/"},
	{"haproxy", regexp.MustCompile(` ([a-z-]{4}) [0-9]+ [0-9]+ [0-9]+ [0-9]+ \+?[0-9]+ [0-9]+ [0-9]+ `), "", ""},
	{"haproxy", regexp.MustCompile(`(?:termination_?state|term_?state|termination_?code|termstate|terminationstate|haproxy[a-z_.]*state|'tsc?'|\btsc?)[a-z_]*'? ?[:=] ?'?([a-z-]{2}(?:[a-z-]{2})?)(?:[ ,;'}]|$)`), "", ""},
	{"haproxy", regexp.MustCompile(`(?:termination|session state|disconnection) (?:state|code|flag)s?(?: at disconnection)?(?: (?:is|was|of))?:? ?'?([a-z-]{2}(?:--)?)\b`), "", ""},
	{"haproxy", regexp.MustCompile(`(?:^|[ '(=])([cspkdiru][rqchdlt]--)(?:$|[ ').,])`), "", "--"},
	// Envoy: the default access log, a field of JSON, the code in prose.
	{"envoy", regexp.MustCompile(`http/[0-9.]{1,3}' (?:[0-9]{1,3}|-) (` + envoyFlag + `(?:,` + envoyFlag + `)*) `), "", "http/"},
	{"envoy", regexp.MustCompile(`\b(?:[0-9]{3}|0) \(?(` + envoyFlag + `(?:,` + envoyFlag + `)*)\)?(?:$| [a-z_]{6,80}(?:\{|$| )| - )`), "", ""},
	{"envoy", regexp.MustCompile(`response[_ .]?flags?'?(?: ?[:=]| of| is)? ?'?(` + envoyFlag + `(?:,` + envoyFlag + `)*)\b`), "", "flag"},
	{"envoy", regexp.MustCompile(`\b(nohealthyupstream|upstreamconnectionfailure|upstreamoverflow|upstreamretrylimitexceeded|upstreamrequesttimeout|localreset|upstreamremotereset|upstreamconnectiontermination|downstreamconnectiontermination|downstreamprotocolerror|upstreamprotocolerror|streamidletimeout|durationtimeout|noroutefound|noclusterfound)\b`), "", ""},
	// AWS: Application and Classic Load Balancer. Three times, then the status of the balancer and of the target.
	{"alb", regexp.MustCompile(`(?:https?|h2|wss?|grpcs?) [0-9-]{10}t\S+ app/\S+ \S+ (?:\S+|-) (-1) -1 -1 (?:50[0-9]) - `), "connect ", " app/"},
	{"alb", regexp.MustCompile(`(?:https?|h2|wss?|grpcs?) [0-9-]{10}t\S+ app/\S+ \S+ (?:\S+|-) [0-9.]+ \S+ -?[0-9.]+ ([0-9]{3}) - `), "", " app/"},
	{"alb", regexp.MustCompile(`(?:https?|h2|wss?|grpcs?) [0-9-]{10}t\S+ app/\S+ \S+ (?:\S+|-) -1 -1 -1 (4[0-9]{2}) - `), "", " app/"},
	{"alb", regexp.MustCompile(`(?:https?|h2|wss?|grpcs?) [0-9-]{10}t\S+ app/\S+ \S+ \S+ [0-9.]+ [0-9.]+ [0-9.]+ [0-9]{3} ([45])[0-9]{2} `), "target ", " app/"},
	{"alb", regexp.MustCompile(`^\s*[0-9-]{10}t\S+z \S+ [0-9.]+:[0-9]+ (?:\S+|-) \S+ \S+ \S+ (50[0-9]) (?:0|-) [0-9]+ [0-9]+ '`), "", ""},
	{"alb", regexp.MustCompile(`(?:alb|load balancer|elb)\S* (?:http )?(460)\b`), "", "460"},
	// Heroku's router.
	{"heroku", regexp.MustCompile(`\bsock=client .{0,80}code=(h18)\b`), "client ", "code=h"},
	{"heroku", regexp.MustCompile(`\bcode=(h18)\b.{0,400}\bsock=client\b`), "client ", "code=h"},
	{"heroku", regexp.MustCompile(`\bat=(?:error|info|warning) code=(h[0-9]{2})\b`), "", "code=h"},
	{"heroku", regexp.MustCompile(`error (h[0-9]{2}) \(`), "", "error h"},
	// libcurl's error numbers, as curl and PHP's, Perl's and Python's wrappers write them.
	{"libcurl", regexp.MustCompile(`\bcurl(?: error:? \(?|: \(| errno:? |error\(|\()([0-9]{1,2})\b`), "", "curl"},
	// nginx: the combined access log; ingress-nginx's, with the upstreams' addresses, lengths, times and statuses.
	{"nginx", regexp.MustCompile(`'(?:get|post|put|delete|head|patch|options) \S+ http/[0-9.]{1,3}' (499) `), "", "499"},
	{"nginx", regexp.MustCompile(`'?(?:status|http_status|response_code|status_code)'? ?[:=] ?'?(499)\b`), "", "499"},
	{"nginx", regexp.MustCompile(` \[[a-z0-9-]*\] \[[a-z0-9-]*\] \S+ [0-9]+ [0-9.]+ (502|504) [0-9a-f]{16,}`), "upstream ", "] ["},
	{"nginx", regexp.MustCompile(`'?upstream_status'? ?[:=] ?'?(502|504)\b`), "upstream ", "upstream_status"},
}

// codes returns candidates for the proxies' codes in the text.
func (r reading) codes() []Candidate {
	var list []Candidate
	for _, form := range codeForms {
		if !strings.Contains(r.flat, form.sign) {
			continue
		}
		for _, m := range form.form.FindAllStringSubmatchIndex(r.flat, 8) {
			for code := range strings.SplitSeq(r.flat[m[2]:m[3]], ",") {
				// HAProxy's case counts: C is the client, c its time limit. The offsets are the same in both.
				if form.client == "haproxy" {
					code = r.cased[m[2]:m[3]]
				}
				if c, ok := codeOf(form, code); ok {
					c.at, c.Score = span{m[2], m[3], nil}, codeWorth
					c, _ = r.narrow(c)
					list = append(list, c)
				}
			}
		}
	}
	return list
}

// codeOf looks a code up. Of HAProxy's four letters, only the first two count.
func codeOf(form codeForm, code string) (Candidate, bool) {
	for _, w := range known().wordings {
		if w.code == "" || w.Client != form.client {
			continue
		}
		for name := range strings.SplitSeq(w.code, "|") {
			if form.client == "haproxy" && len(code) >= 2 && name == code[:2] || form.client != "haproxy" && lower(name) == form.prefix+code {
				w.Text = codeNames[w.Client] + " " + name
				return Candidate{Wording: w}, true
			}
		}
	}
	return Candidate{}, false
}
