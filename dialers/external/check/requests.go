package check

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
)

func parts(method, url string, header [][2]string, body int) dialers.Parts {
	return dialers.Parts{Method: method, URL: url, Header: header, Body: body}
}

// one sends a request and waits for its answer.
func (k *checking) one(method, url string, header [][2]string, body int) (uint64, external.Answer, error) {
	seq := k.next()
	if k.talk == nil {
		if err := k.begin(external.Config{}); err != nil {
			return seq, external.Answer{}, err
		}
	}
	if err := k.talk.Dispatch(seq, external.Prepare(parts(method, url, header, body))); err != nil {
		return seq, external.Answer{}, err
	}
	a, err := k.answer(seq)
	return seq, a, err
}

// answer waits for the answer with this number.
func (k *checking) answer(seq uint64) (external.Answer, error) {
	deadline := time.Now().Add(replyTime + 2*time.Second)
	for {
		a, err := k.talk.Next(time.Until(deadline))
		if err != nil {
			return a, fmt.Errorf("number %d: %w", seq, err)
		}
		k.noteFault(a)
		if a.Seq == seq && a.Fault != external.FaultTwice && a.Fault != external.FaultUnsent {
			return a, nil
		}
	}
}

// requests checks what is on the wire, and what the driver reports.
func (k *checking) requests() {
	if err := k.begin(external.Config{}); err != nil {
		k.rule("GET", err, "take config again after any number of them", "")
		return
	}
	const asWritten = "send the request as the frame has it: method, URL, every header, and body bytes of 'x'; once"
	k.rule("GET", k.exactly("GET", 0), asWritten, "as written, once")
	k.rule("POST", k.exactly("POST", 1000), asWritten, "as written, once")
	k.rule("POST without a body", k.exactly("POST", 0), asWritten, "as written, once")
	for _, status := range []int{404, 500} {
		k.rule(fmt.Sprint("status ", status), k.status(fmt.Sprint("/", status), status), "report a response as its status, whatever it is: an error is only what brought none", "a status, and no error")
	}
	k.rule("redirect", k.redirect(), "do not follow redirects", "not followed")
	k.rule("cookies", k.cookies(), "do not keep cookies", "none is kept")
	k.rule("bytes", k.large(), "read the whole body, and count its bytes", "counted")
	k.rule("error", k.fails(), "report class and text as the client gives them to its caller, with status 0; a proxy gives the status of its own response beside the error", "class and text")
	k.rule("timeout", k.timesOut(), "give the client config's timeout, in milliseconds, as its limit for a whole request", "the client ends it")
	says, err := k.insecure()
	k.rule("insecure", err, "verify no certificates if config has insecure", says)
	k.rule("open loop", k.openLoop(), "start each dispatch at once: asynchronously, or on a thread of a pool without a limit; and write a done for each", fmt.Sprintf("%d were called while none had a response", slowRequests))
}

// exactly sends a request, and compares what arrived.
func (k *checking) exactly(method string, body int) error {
	uri := "/a%20b?x=1&y=%2F"
	header := [][2]string{{"X-One", "1"}, {"Accept", "text/x-kabench"}}
	seq, a, err := k.one(method, k.server.url+uri, header, body)
	if err != nil {
		return err
	}
	if a.Err != nil || a.Status != 200 {
		return fmt.Errorf("status %d, %v", a.Status, failure(a))
	}
	arrived := k.server.of(seq)
	if len(arrived) != 1 {
		return fmt.Errorf("it arrived %d times with the header %s", len(arrived), dialers.RequestID)
	}
	got := arrived[0]
	switch {
	case got.method != method:
		return fmt.Errorf("the method arrived as %s", got.method)
	case got.uri != uri:
		return fmt.Errorf("%s arrived as %s", uri, got.uri)
	case !bytes.Equal(got.body, bytes.Repeat([]byte("x"), body)):
		return fmt.Errorf("of %d bytes of 'x', %d bytes arrived: %.20q", body, len(got.body), got.body)
	}
	for _, h := range header {
		if values := got.header.Values(h[0]); len(values) != 1 || values[0] != h[1] {
			return fmt.Errorf("the header %s: %s arrived as %q", h[0], h[1], values)
		}
	}
	return nil
}

func failure(a external.Answer) error {
	if a.Err == nil {
		return errors.New("no error")
	}
	return a.Err
}

func (k *checking) status(path string, want int) error {
	_, a, err := k.one("GET", k.server.url+path, nil, 0)
	if err == nil && (a.Status != want || a.Err != nil) {
		err = fmt.Errorf("status %d, %v", a.Status, failure(a))
	}
	return err
}

func (k *checking) redirect() error {
	if err := k.status("/redirect", 302); err != nil {
		return err
	}
	if k.server.followed() > 0 {
		return errors.New("it was followed")
	}
	return nil
}

func (k *checking) cookies() error {
	if err := k.status("/cookie", 200); err != nil {
		return err
	}
	seq, _, err := k.one("GET", k.server.url+"/", nil, 0)
	if err != nil {
		return err
	}
	for _, got := range k.server.of(seq) {
		if got.header.Get("Cookie") != "" {
			return errors.New("the next request had the cookie")
		}
	}
	return nil
}

func (k *checking) large() error {
	for _, path := range []string{"/large", "/chunked"} {
		_, a, err := k.one("GET", k.server.url+path, nil, 0)
		if err != nil {
			return err
		}
		if a.Err != nil || a.Bytes != largeBody {
			return fmt.Errorf("of %d bytes, %d are reported (%v)", largeBody, a.Bytes, failure(a))
		}
	}
	return nil
}

func (k *checking) fails() error {
	_, a, err := k.one("GET", k.server.url+"/close", nil, 0)
	switch {
	case err != nil:
		return err
	case a.Err == nil:
		return fmt.Errorf("the server closed before a response, and the driver reports status %d and no error", a.Status)
	case a.Err.Class == "" || a.Err.Text == "":
		return fmt.Errorf("the error has the class %q and the text %q", a.Err.Class, a.Err.Text)
	}
	for _, c := range a.Err.Causes {
		if c.Class == "" {
			return errors.New("a cause has no class")
		}
	}
	return nil
}

func (k *checking) timesOut() error {
	if err := k.begin(external.Config{Timeout: 500 * time.Millisecond}); err != nil {
		return err
	}
	defer k.end()
	k.server.again()
	defer k.server.let()
	_, a, err := k.one("GET", k.server.url+"/hold", nil, 0)
	switch {
	case err != nil:
		return err
	case a.Err == nil:
		return fmt.Errorf("no response within 500 ms, and the driver reports status %d and no error", a.Status)
	case a.Took < 400*time.Millisecond:
		return fmt.Errorf("the limit is 500 ms, and the client gave up after %v", a.Took)
	}
	return nil
}

// insecure asks for a page with a certificate that nobody signed. Some clients, such as
// nginx, verify none by themselves: the driver cannot change that, so it fails nothing.
func (k *checking) insecure() (says string, err error) {
	says = "verified unless insecure"
	for _, insecure := range []bool{true, false} {
		if err := k.begin(external.Config{Insecure: insecure, Origins: []string{k.server.secured}}); err != nil {
			return "", err
		}
		_, a, err := k.one("GET", k.server.secured+"/", nil, 0)
		switch {
		case err != nil:
			return "", err
		case insecure && a.Status != 200:
			return "", fmt.Errorf("insecure, and a certificate that nobody signed: %v", failure(a))
		case !insecure && a.Err == nil:
			says = "not verified: this client verifies none by default"
		}
	}
	k.end()
	return says, nil
}

// slowRequests are sent while none has a response.
const slowRequests = 200

// openLoop holds all requests until each was called, or until that has taken too long.
// The client's own pool may let only some of them onto the wire: the driver cannot
// change that, and the others were called as well.
func (k *checking) openLoop() error {
	if err := k.begin(external.Config{Timeout: time.Minute}); err != nil {
		return err
	}
	defer k.end()
	k.server.again()
	defer k.server.let()
	request := external.Prepare(parts("GET", k.server.url+"/hold", nil, 0))
	first := k.seq + 1
	for range slowRequests {
		if err := k.talk.Dispatch(k.next(), request); err != nil {
			return err
		}
	}
	held, since := 0, time.Now() // since when no more have come
	for held < slowRequests && time.Since(since) < 3*time.Second && k.ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		if now := k.server.heldAtOnce(); now > held {
			held, since = now, time.Now()
		}
	}
	released := k.talk.Now()
	k.server.let()
	late := 0
	for range slowRequests {
		a, err := k.talk.Next(replyTime)
		if err != nil {
			return err
		}
		k.noteFault(a)
		if a.Seq >= first && a.Called-a.Wrong > released {
			late++
		}
	}
	if late > 0 {
		return fmt.Errorf("%d of %d requests were called only when others had their response; %d were on the wire at once", late, slowRequests, k.server.heldAtOnce())
	}
	return nil
}
