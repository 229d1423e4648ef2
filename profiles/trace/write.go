package trace

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/klauspost/compress/gzip"

	"github.com/kabench/kabench/generator"
)

// Packed is the log of a load as the format requests, compressed: only the stamps of the
// requests that the load sends, since the first one. Read with the same seed, they are due at
// the same times.
func Packed(l generator.Load) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(z, "%s: times of requests, in seconds\nsent\n", requestsHead)
	digits, unit := 0, int64(1e9)
	for ; unit > int64(l.Times.Grain()); unit /= 10 {
		digits++
	}
	var line []byte
	for at := range l.Times.Stamps(l.WarmUp + l.Duration) {
		line = strconv.AppendInt(line[:0], at/1e9, 10)
		if digits > 0 {
			line = append(line, '.')
			line = append(line, fmt.Sprintf("%09d", at%1e9)[:digits]...)
		}
		z.Write(append(line, '\n')) // Close has the error
	}
	err = z.Close()
	return b.Bytes(), err
}
