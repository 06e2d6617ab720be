// Command yard is the server that is measured: the yardsticks, and the same trivial handlers behind attorn's Verifier. One process has them all, so
// that a ratio compares work and nothing else.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/jose"
)

func main() {
	issuer := flag.String("issuer", "", "the issuer's URL")
	resource := flag.String("resource", "", "the URL that tokens and signatures are made for; its port is listened on")
	listen := flag.String("listen", "", "address")
	profile := flag.String("cpuprofile", "", "write a CPU profile here, from POST /profile until SIGTERM, and beside it one of allocations")
	attornURL := flag.String("attorn", "", "also start the whole product here: http://localhost:PORT")
	data := flag.String("data", "", "its data directory")
	delegations := flag.Int("delegations", 0, "make so many delegations in a new database before the product starts on it")
	flag.Parse()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	open, err := attorn.NewVerifier(attorn.VerifierConfig{Issuer: *issuer, Resource: *resource, Bearer: true})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	prof := &profiling{path: *profile}
	defer prof.stop()
	mux.Handle("POST /profile", prof)
	mux.HandleFunc("GET /hello", hello)
	mux.HandleFunc("POST /json", decode)
	for path, y := range map[string]struct {
		n    int
		next http.HandlerFunc
	}{"GET /hello+v": {1, hello}, "POST /json+v": {1, decode}, "GET /64v": {64, hello}} {
		h, err := verifying(y.n, y.next)
		if err != nil {
			log.Fatal(err)
		}
		mux.HandleFunc(path, h)
	}
	mux.Handle("GET /token", open.Middleware(http.HandlerFunc(hello)))
	mux.Handle("POST /signed", open.Middleware(http.HandlerFunc(decode)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if *delegations > 0 {
		if err := fill(ctx, *data, *attornURL, *delegations); err != nil {
			log.Fatal(err)
		}
	}
	if *attornURL != "" {
		end, err := serve(context.WithoutCancel(ctx), *data, *attornURL)
		if err != nil {
			log.Fatal(err)
		}
		defer end()
		if err := floor(mux, *data); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("ready")
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { <-ctx.Done(); srv.Close() }()
	if err := srv.Serve(l); err != http.ErrServerClosed {
		log.Print(err)
	}
}

// profiling waits to be told that all is prepared.
type profiling struct {
	path string
	file *os.File
}

func (p *profiling) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var err error
	if p.file == nil && p.path != "" {
		if p.file, err = os.Create(p.path); err == nil {
			err = pprof.StartCPUProfile(p.file)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (p *profiling) stop() {
	if p.file == nil {
		return
	}
	pprof.StopCPUProfile()
	p.file.Close()
	if f, err := os.Create(p.path + ".allocs"); err == nil {
		pprof.Lookup("allocs").WriteTo(f, 0)
		f.Close()
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// body is what a trivial handler reads: 1 KB of strict JSON.
type body struct {
	Items []struct {
		Name  string `json:"name"`
		Value int64  `json:"value"`
	} `json:"items"`
}

func decode(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var b body
	if err == nil {
		err = jose.Decode(raw, &b, jose.Limits{})
	}
	if err != nil {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	io.WriteString(w, `{"items":`+strconv.Itoa(len(b.Items))+"}\n")
}

// verifying is next behind n Ed25519 verifications of the standard library: what proofs cost at least. Both in one handler, so that they are
// measured under the same load.
func verifying(n int, next http.HandlerFunc) (http.HandlerFunc, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	message := make([]byte, 300) // about as long as a signature base
	sig := ed25519.Sign(priv, message)
	return func(w http.ResponseWriter, r *http.Request) {
		for range n {
			if !ed25519.Verify(pub, message, sig) {
				http.Error(w, "it does not verify", http.StatusInternalServerError)
				return
			}
		}
		next(w, r)
	}, nil
}

// floor is what a token cannot cost less than: a small body decoded strictly, two proofs checked, a token signed, a row committed; and that with the two
// signatures of a statement that is new. What a decision cannot cost less than: that body, a proof, a row.
func floor(mux *http.ServeMux, dir string) error {
	r, err := newRows(filepath.Join(dir, "yard.db"))
	if err != nil {
		return err
	}
	for path, n := range map[string]int{"POST /floor": 2, "POST /floor+2v": 4} {
		h, err := verifying(n, r.durable(decode))
		if err != nil {
			return err
		}
		mux.HandleFunc(path, h)
	}
	h, err := verifying(1, r.stored(decode))
	if err != nil {
		return err
	}
	mux.HandleFunc("POST /row+v", h)
	return nil
}
