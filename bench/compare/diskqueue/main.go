// Command diskqueue measures go-diskqueue under the same work as bench/compare does the others, and
// prints one line of JSON.
//
//	diskqueue --dir=D --work=put  --producers=64 --record_bytes=128 --seconds=0.4 --warm_up=0.1 --sync_every=1
//	diskqueue --dir=D --work=read --records=200000
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"github.com/nsqio/go-diskqueue"
)

var (
	dir         = flag.String("dir", "", "an empty directory")
	work        = flag.String("work", "put", "put: producers that wait for each Put; read: fill, then read all")
	producers   = flag.Int("producers", 1, "how many append at once")
	recordBytes = flag.Int("record_bytes", 128, "of each record, 8 or more")
	seconds     = flag.Float64("seconds", 0.4, "that are measured")
	warmUp      = flag.Float64("warm_up", 0.1, "seconds before, not counted")
	syncEvery   = flag.Int64("sync_every", 1, "records to each fsync; 0: none")
	records     = flag.Int("records", 200000, "of --work=read")
)

// What is printed. Latency holds pairs of a duration in ns and how often it occurred.
type result struct {
	Records   uint64      `json:"records"`
	ElapsedNs int64       `json:"elapsed_ns"`
	Latency   [][2]uint64 `json:"latency"`
}

const (
	never        = time.Duration(1000) * time.Hour
	bytesPerFile = 64 << 20 // a segment of Millrace has as many
)

func open(syncEvery int64) diskqueue.Interface {
	if syncEvery == 0 {
		syncEvery = math.MaxInt64
	}
	complain := func(level diskqueue.LogLevel, format string, args ...interface{}) {
		if level >= diskqueue.ERROR {
			fmt.Fprintf(os.Stderr, "diskqueue: "+format+"\n", args...)
		}
	}
	return diskqueue.New("bench", *dir, bytesPerFile, 0, int32(*recordBytes+1), syncEvery, never, complain)
}

// One producer's records and how long they took.
type lane struct {
	records uint64
	latency map[uint64]uint64 // ns, rounded to 3 %, to how often
	err     error
}

// rounded keeps the highest 6 bits, as the histogram does that the result goes into.
func rounded(ns int64) uint64 {
	shift := 0
	for ns>>shift >= 64 {
		shift++
	}
	return uint64(ns >> shift << shift)
}

func (l *lane) run(queue diskqueue.Interface, number int, measureFrom, end time.Time) {
	l.latency = make(map[uint64]uint64)
	record := make([]byte, *recordBytes)
	sequence := uint64(number) << 48
	now := time.Now()
	for now.Before(end) {
		start := now
		binary.BigEndian.PutUint64(record, sequence)
		sequence++
		if l.err = queue.Put(record); l.err != nil {
			return
		}
		now = time.Now()
		if !start.Before(measureFrom) {
			l.latency[rounded(now.Sub(start).Nanoseconds())]++
			l.records++
		}
	}
}

func put() (result, error) {
	queue := open(*syncEvery)
	lanes := make([]lane, *producers)
	measureFrom := time.Now().Add(time.Duration(*warmUp * 1e9))
	end := measureFrom.Add(time.Duration(*seconds * 1e9))
	var done sync.WaitGroup
	for i := range lanes {
		done.Add(1)
		go func(i int) {
			defer done.Done()
			lanes[i].run(queue, i, measureFrom, end)
		}(i)
	}
	done.Wait()
	sum := result{ElapsedNs: time.Since(measureFrom).Nanoseconds()}
	merged := make(map[uint64]uint64)
	for _, l := range lanes {
		if l.err != nil {
			return sum, l.err
		}
		sum.Records += l.records
		for ns, count := range l.latency {
			merged[ns] += count
		}
	}
	for ns, count := range merged {
		sum.Latency = append(sum.Latency, [2]uint64{ns, count})
	}
	return sum, queue.Close()
}

func read() (result, error) {
	queue := open(0)
	record := make([]byte, *recordBytes)
	for i := 0; i < *records; i++ {
		if err := queue.Put(record); err != nil {
			return result{}, err
		}
	}
	start := time.Now()
	for i := 0; i < *records; i++ {
		<-queue.ReadChan()
	}
	sum := result{Records: uint64(*records), ElapsedNs: time.Since(start).Nanoseconds()}
	return sum, queue.Close()
}

func main() {
	flag.Parse()
	works := map[string]func() (result, error){"put": put, "read": read}
	run, known := works[*work]
	if !known || *dir == "" || *recordBytes < 8 {
		flag.Usage()
		os.Exit(1)
	}
	sum, err := run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(sum)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "diskqueue:", err)
		os.Exit(1)
	}
}
