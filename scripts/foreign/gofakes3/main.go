// A server of gofakes3 with its objects in memory, for tests.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// gofakes3 ADDRESS BUCKET
func main() {
	backend := s3mem.New()
	if err := backend.CreateBucket(os.Args[2]); err != nil {
		log.Fatal(err)
	}
	server := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog()))
	log.Fatal(http.ListenAndServe(os.Args[1], server.Server()))
}
