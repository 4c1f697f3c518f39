#include <condition_variable>
#include <mutex>

void wait(std::condition_variable &until, std::unique_lock<std::mutex> &lock) {
    until.wait(lock);
}
