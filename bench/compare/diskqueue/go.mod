module millrace/bench/compare/diskqueue

go 1.19

require github.com/nsqio/go-diskqueue v1.1.0
