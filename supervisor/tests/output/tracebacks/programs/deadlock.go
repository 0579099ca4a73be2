// All goroutines wait for each other.
package main

func main() {
	wait := make(chan int)
	go func() { wait <- <-wait }()
	<-wait
}
