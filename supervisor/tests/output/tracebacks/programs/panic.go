// Panics while another goroutine waits.
package main

import "time"

func open(names []string, at int) string {
	return names[at]
}

func main() {
	go func() {
		time.Sleep(time.Hour)
	}()
	time.Sleep(10 * time.Millisecond)
	open([]string{"x"}, 3)
}
