// Calls a server outside with Go's own client; stays until /srv/end is there.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	request, err := http.NewRequest("GET", "https://api.test/echo", nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("x-stack", "go")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println("go:", answer.Proto, strings.TrimSpace(string(body)))
	fmt.Println("go: done")
	for {
		if _, err := os.Stat("/srv/end"); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
