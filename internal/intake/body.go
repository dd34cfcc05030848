package intake

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/relay-sidecar/relay/internal/problem"
)

// read takes the whole body: as it came over the wire, which is what senders
// sign, and what it says. Both stay within the limit, so that a small request
// cannot make a large one.
func (d *Door) read(w http.ResponseWriter, r *http.Request) (wire, body []byte, p *problem.Problem) {
	decode, p := decoderOf(w, r.Header)
	if p != nil {
		return nil, nil, p
	}
	limit := d.MaxBody()
	tooLarge := problem.New(http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body is larger than %d bytes (server.max_body); send fewer events at once, or less data", limit))
	if r.ContentLength > limit {
		return nil, nil, tooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, limit)
	var err error
	if r.ContentLength >= 0 { // no growing, no copying
		wire = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, wire)
	} else {
		wire, err = io.ReadAll(limited)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, nil, tooLarge
	case err != nil:
		return nil, nil, problem.New(http.StatusBadRequest, "the body could not be read to its end")
	case decode == nil:
		return wire, wire, nil
	}
	if body, err = decode(wire, limit+1); err != nil {
		return nil, nil, problem.New(http.StatusBadRequest, fmt.Sprintf("the body is not what its Content-Encoding says: %s", err))
	}
	if int64(len(body)) > limit {
		return nil, nil, tooLarge
	}
	return wire, body, nil
}

// decoder undoes a content coding, up to a number of bytes.
type decoder func(wire []byte, limit int64) ([]byte, error)

// decoderOf is what undoes the body's coding; nil: it has none. One coding is
// taken, since two are only of use to somebody who wants to make a small body
// very large.
func decoderOf(w http.ResponseWriter, h http.Header) (decoder, *problem.Problem) {
	var found decoder
	given := strings.Join(h.Values("Content-Encoding"), ",")
	for name := range strings.SplitSeq(given, ",") {
		var next decoder
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "identity":
			continue
		case "gzip", "x-gzip":
			next = decoding(func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
		case "deflate":
			next = decoding(func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) })
		}
		if next == nil || found != nil {
			w.Header().Set("Accept-Encoding", "gzip, deflate")
			return nil, problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding %q is not taken; send the body as it is, or as gzip or deflate", given))
		}
		found = next
	}
	return found, nil
}

func decoding(open func(io.Reader) (io.Reader, error)) decoder {
	return func(wire []byte, limit int64) ([]byte, error) {
		r, err := open(bytes.NewReader(wire))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(r, limit))
	}
}
