# What every driver in Ruby shares: frames, clock, settings, threads, deadlines and errors of protocol 1.
#
# A driver is an object with name, client, version, settings, open(settings, insecure), send_request(method, url, headers,
# body) -> [status, bytes], close, and order: which idle thread takes the next request, :first or :last of those that wait.
#
# Each request has a thread to itself. An idle one takes it at once; if there is none, a new one is made, without limit, so a
# request never waits for a thread.

require "json"
require "timeout"

module Kit
  FRAMES = $stdout.dup # frames have a stdout of their own: what a library prints goes to stderr
  FRAMES.sync = true
  $stdout.reopen($stderr)
  WRITER = Mutex.new
  GRACE = 0.1 # seconds that the client has to report its own timeout before the request is given up

  def self.now
    Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  end

  def self.write(frame)
    line = JSON.generate(frame) << "\n"
    WRITER.synchronize { FRAMES.write(line) }
  rescue Errno::EPIPE
    exit!(0) # nobody reads any more
  end

  # Describes a setting. off: the client takes nil, "no limit"; least: the smallest number it takes.
  def self.setting(name, kind, default, pool: nil, off: true, least: 0)
    { name: name, kind: kind, default: default, pool: pool, off: off, least: least }
  end

  LONGEST = 1e9 # seconds, for clients that have no word for "no limit"

  def self.seconds(milliseconds)
    milliseconds && milliseconds / 1000.0
  end

  # One dispatch, from its frame to its answer.
  class Call
    attr_reader :seq, :received, :request
    attr_accessor :called

    def initialize(frame, received, generation)
      @seq, @received, @generation = frame["seq"], received, generation
      body = frame["body"].to_i
      @request = [frame["method"], frame["url"], (frame["headers"] || []).to_h, body.positive? ? "x" * body : nil]
      @answered = Mutex.new # locked by the first answer
    end

    def answered?
      @answered.locked?
    end

    def done(current, status: 0, bytes: 0, error: nil)
      finished = Kit.now
      return unless @generation == current && @answered.try_lock # a new config or the deadline gave it up

      answer = { type: "done", seq: @seq, received: @received, called: @called || finished, finished: finished,
                 status: status, bytes: bytes }
      answer[:error] = Kit.told(error) if error
      Kit.write(answer)
    end
  end

  # Reads frames until the end, and hands each request to a thread.
  class Runner
    def initialize(driver)
      @driver = driver
      @generation = 0
      @idle = []
      @lock = Mutex.new # holds @idle and @due
      @due = []
    end

    def run
      Thread.report_on_exception = false
      hello
      Thread.new { give_up }
      $stdin.each_line do |line|
        next if line.strip.empty?

        frame = JSON.parse(line)
        take(frame, Kit.now)
      end
      exit!(0)
    end

    def hello
      settings = @driver.settings.map { |s| s.reject { |k, v| %i[off least].include?(k) || (v.nil? && k != :default) } }
      Kit.write(type: "hello", protocol: 1, driver: @driver.name, client: @driver.client, version: @driver.version,
                runtime: "Ruby #{RUBY_VERSION}", settings: settings, gauges: [])
    end

    def take(frame, received)
      case frame["type"]
      when "dispatch" then dispatch(Call.new(frame, received, @generation))
      when "clock" then Kit.write(type: "clock", now: Kit.now)
      when "config" then configure(frame)
      when "bye"
        Kit.write(type: "bye")
        exit!(0)
      end
    end

    def configure(frame)
      @generation += 1 # what the client before was asked is given up
      settings = frame["settings"] || {}
      @timeout = Kit.seconds(frame["timeout"])
      complaint = Kit.check(@driver.settings, settings)
      return Kit.write(complaint) if complaint

      @driver.close
      @driver.open(settings, frame["insecure"] == true)
      Kit.write(type: "ready")
    rescue StandardError => e
      blamed = settings.keys.find { |name| e.message.include?(name) } || settings.keys.first || ""
      Kit.write(type: "refused", setting: blamed, text: "#{e.class}: #{e.message}")
    end

    def dispatch(call)
      box = @lock.synchronize do
        @due << call if @timeout
        @driver.order == :first ? @idle.shift : @idle.pop
      end
      unless box
        box = Queue.new
        Thread.new { work(box) }
      end
      box << call
    end

    def work(box)
      loop do
        call = box.pop
        call.called = Kit.now
        begin
          status, bytes = @driver.send_request(*call.request)
          call.done(@generation, status: status, bytes: bytes)
        rescue StandardError, Timeout::Error => e
          call.done(@generation, error: e)
        end
        @lock.synchronize { @idle << box }
      end
    end

    # Gives up requests that the client does not end in time: its timeouts bound a connect and each read, not a request with
    # its retries and its body. Timeout.timeout would leave a half-used connection in the pool. The thread of a request that
    # was given up goes on until its client is done.
    def give_up
      loop do
        sleep 0.02
        late = []
        @lock.synchronize do
          while (call = @due.first) && (call.answered? || call.received + ((@timeout || 0) + GRACE) * 1e9 <= Kit.now)
            late << @due.shift
          end
        end
        late.each do |call|
          text = "the driver gave the call up after kabench's timeout of #{(@timeout.to_f * 1000).round} ms"
          call.done(@generation, error: Timeout::Error.new(text))
        end
      end
    end
  end

  # Gives a frame of refusal for the first setting that the client has not, or can't take.
  def self.check(known, settings)
    settings.each do |name, value|
      s = known.find { |k| k[:name] == name }
      text = s ? complaint(s, value) : "there is no such setting; there are #{known.map { |k| k[:name] }.join(', ')}"
      return { type: "refused", setting: name, text: text } if text
    end
    nil
  end

  def self.complaint(s, value)
    return s[:off] ? nil : "it can't be null" if value.nil?
    return "it must be a number of at least #{s[:least]}" unless value.is_a?(Numeric) && value >= s[:least]

    "it must be a whole number" if s[:kind] == "count" && value != value.to_i
  end

  # Gives an error and at most 8 causes beneath it.
  def self.told(error)
    causes = []
    e = error
    causes << e while causes.size < 8 && (e = e.cause)
    named = ->(x) { { class: x.class.name, text: x.message.dup.force_encoding("UTF-8").scrub } }
    named.call(error).merge(causes: causes.map(&named))
  end

  # The request as Net::HTTP takes it, for any method.
  def self.request(method, uri, headers, body)
    request = Net::HTTPGenericRequest.new(method, !body.nil? || %w[POST PUT PATCH].include?(method), method != "HEAD",
                                          uri.request_uri, headers)
    request.body = body if body
    request
  end
end
