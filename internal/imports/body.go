package imports

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"github.com/kabench/kabench/internal/secrets"
)

// shortestSecret is the length in bytes from which a value in free text is taken for a
// secret. A shorter one stands in too many other places.
const shortestSecret = 4

// fromBody takes values that may be credentials out of a body, and leaves all else as it is:
// the values of fields of a JSON document or of a form whose names say so, and in other
// text what looks like one.
func (r removed) fromBody(body string) string {
	switch {
	case body == "":
		return body
	case json.Valid([]byte(body)):
		return r.fromJSON(body)
	case isForm(body):
		return r.fromForm(body)
	}
	for _, value := range secrets.InText(body) {
		if len(value) >= shortestSecret && value != secrets.Blanked && strings.Contains(body, value) {
			body = strings.ReplaceAll(body, value, secrets.Blanked)
			r.add("a value in the body")
		}
	}
	return body
}

// fromJSON blanks the values of the fields that are named like credentials, whatever these
// values are. body is valid.
func (r removed) fromJSON(body string) string {
	var out strings.Builder
	d := json.NewDecoder(strings.NewReader(body))
	var inObject []bool // of each level
	name, copied := true, int64(0)
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return body // it was valid
		}
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				inObject = append(inObject, v == '{')
			default:
				inObject = inObject[:len(inObject)-1]
			}
			name = true
		case string:
			if len(inObject) == 0 || !inObject[len(inObject)-1] || !name {
				name = true // it was a value
				break
			}
			if !secrets.Named(v) {
				name = false // its value comes
				break
			}
			var value json.RawMessage
			if d.Decode(&value) != nil {
				return body
			}
			end := d.InputOffset()
			out.WriteString(body[copied : end-int64(len(value))])
			out.WriteString(`"` + secrets.Blanked + `"`)
			copied = end
			r.add("field " + v + " of the body")
		default:
			name = true
		}
	}
	out.WriteString(body[copied:])
	return out.String()
}

// isForm reports whether body is the fields of a form (application/x-www-form-urlencoded).
func isForm(body string) bool {
	if strings.ContainsAny(body, " \t\r\n\"{}<>") {
		return false
	}
	for part := range strings.SplitSeq(body, "&") {
		if name, _, found := strings.Cut(part, "="); !found || name == "" {
			return false
		}
	}
	return true
}

func (r removed) fromForm(body string) string {
	var out bytes.Buffer
	for i, part := range strings.Split(body, "&") {
		if i > 0 {
			out.WriteByte('&')
		}
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err == nil && !secrets.Named(plain) {
			out.WriteString(part)
			continue
		}
		out.WriteString(name + "=" + url.QueryEscape(secrets.Blanked))
		r.add("field " + name + " of the body")
	}
	return out.String()
}
