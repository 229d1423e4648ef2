package profiles

import (
	"strings"

	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/profiles/targets"
	"github.com/kabench/kabench/results/redact"
)

// Redact returns a copy of p without secrets, for the results. It blanks the values of
// headers that carry secrets, and in URLs the user, the fragment and parameters that
// look like secrets; also in the changes of remedies. If one of these values also
// stands in the question or in a body, it is blanked there; the rest of a body is
// kept.
func Redact(p Profile) Profile {
	c := *p.Clone()
	known := Secrets(&p, nil)
	c.Target.URL = blankPath(secrets.RedactURL(c.Target.URL), known)
	c.Load.Trace.Path = secrets.RedactURL(c.Load.Trace.Path)
	for name, value := range c.Target.Headers {
		if c.Target.Headers[name] = known.Blank(value); secrets.Named(name) {
			c.Target.Headers[name] = secrets.Blanked
		}
	}
	c.redactDriver()
	c.Question, c.Target.Body = known.Blank(c.Question), known.Blank(c.Target.Body)
	for _, r := range c.Remedies {
		for path, value := range r.Set {
			r.Set[path] = known.Blank(redactSetting(path, value))
		}
	}
	return c
}

// blankPath blanks secrets in a URL behind its host. A user may have the same name as
// the host.
func blankPath(text string, known *redact.Secrets) string {
	at := strings.Index(text, "//") + len("//")
	if i := strings.IndexAny(text[min(at, len(text)):], "/?"); at >= len("//") && i >= 0 {
		return text[:at+i] + known.Blank(text[at+i:])
	}
	return text
}

// redactSetting returns the value that may be shown for a value that was set at path.
func redactSetting(path, value string) string {
	header, isHeader := strings.CutPrefix(path, "target.headers.")
	section, _, _ := strings.Cut(path, ".")
	switch {
	case isHeader && secrets.Named(header):
		return secrets.Blanked
	case path == "target", path == "target.headers", path == "load.trace" && strings.Contains(value, "?"), section == "remedies":
		return secrets.Blanked // it may contain headers
	case path == "target.url", path == "load.trace.path":
		return secrets.RedactURL(value)
	case section == "driver" || section == "client":
		return redactDriverSetting(path, value)
	}
	return value
}

// RedactChange returns a change as it may be shown: secrets are blanked.
func RedactChange(change map[string]string) map[string]string {
	shown := make(map[string]string, len(change))
	for path, value := range change {
		shown[path] = redactSetting(path, value)
	}
	return shown
}

// Secrets returns the credentials in p and in requests, which may be nil.
func Secrets(p *Profile, requests []targets.Request) *redact.Secrets {
	return redact.NewSecrets(secretValues(p, requests)...)
}

func secretValues(p *Profile, requests []targets.Request) []string {
	values := secrets.InURL(p.Target.URL)
	for name, value := range p.Target.Headers {
		if secrets.Named(name) {
			values = append(values, value)
		}
	}
	values = append(values, p.driverSecrets()...)
	for _, r := range p.Remedies {
		for path, value := range r.Set {
			values = append(values, secrets.InText(path+"="+value)...)
		}
	}
	seen := map[string]bool{}
	once := func(found []string) {
		for _, value := range found {
			if !seen[value] {
				seen[value] = true
				values = append(values, value)
			}
		}
	}
	for _, r := range requests {
		once(secrets.InURL(r.URL))
		once(secrets.InHeader(r.Header))
	}
	return values
}

// WithoutSecrets returns err without the secrets that it may quote from texts:
// arguments or files, in any format and however broken.
func WithoutSecrets(err error, texts ...string) error {
	if err == nil {
		return nil
	}
	var values []string
	for _, text := range texts {
		values = append(values, secrets.InText(text)...)
	}
	known := redact.NewSecrets(values...)
	list, ok := err.(Errors)
	if !ok {
		return known.Error(err)
	}
	shown := make(Errors, len(list))
	for i, c := range list {
		c.Source, c.Path, c.Text = known.Blank(c.Source), known.Blank(c.Path), known.Blank(c.Text)
		shown[i] = c
	}
	return shown
}
