;; Threads that make garbage and numbers out of it. The collector stops the others by SIGUSR2, which each thread sends to the others.
(defun digits (step)
  (let ((number (expt (+ 3 step) 900)) (lists nil))
    (dotimes (i 400)
      (push (list i (format nil "~d" (mod (ash number (- i)) 1000003))) lists))
    (reduce #'+ lists :key (lambda (pair) (parse-integer (second pair))))))

(let* ((names '(a b c))
       (threads (mapcar (lambda (name)
                          (sb-thread:make-thread
                           (lambda ()
                             (loop for step below 400
                                   sum (digits step)
                                   when (zerop (mod step 10)) do (sb-ext:gc)))
                           :name (string name)))
                        names)))
  (loop for name in names
        for thread in threads
        do (format t "~a ~d~%" name (sb-thread:join-thread thread)))
  (finish-output))
